// The thread that maildev runs in: it prints to the console and outstays its stop, and here neither reaches the server.
// It must not know anything but what mailbox.ts tells it.

import { parentPort, workerData } from 'node:worker_threads';
import { MailDev } from 'maildev';

const { smtp, api } = await new MailDev(workerData).start();
parentPort?.postMessage({ smtpPort: smtp.getPort(), webPort: api?.getPort() });
