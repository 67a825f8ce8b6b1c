// Clients of different make. Those over Node's fetch trust what the process trusts.

import { bufCurl } from './buf-curl.ts';
import { connectWeb, grpcWeb } from './connect-web.ts';
import type { Driver, Trust } from './driver.ts';
import { grpcJs } from './grpc-js.ts';
import { plainFetch } from './plain-fetch.ts';

export const drivers: Readonly<Record<string, (trust?: Trust) => Driver>> = {
  'gRPC by @grpc/grpc-js and the .proto files': grpcJs,
  'Connect by @connectrpc/connect-web': connectWeb(true),
  'Connect in JSON by @connectrpc/connect-web': connectWeb(false),
  'gRPC-Web by @connectrpc/connect-web': grpcWeb,
  'plain fetch of JSON over HTTP/1.1': plainFetch,
  'buf curl, by reflection': bufCurl,
};
