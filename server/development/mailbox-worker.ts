// The thread that maildev runs in: it prints to the console and outstays its stop, and here neither reaches the server.
// It must not know anything but what mailbox.ts tells it.

import { enableCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';

// Before maildev is loaded, which is all that this thread has to do.
enableCompileCache();
const { MailDev } = await import('maildev');
const { smtp, api } = await new MailDev(workerData).start();
parentPort?.postMessage({ smtpPort: smtp.getPort(), webPort: api?.getPort() });
