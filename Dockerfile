# The first stage makes what production runs (npm run build), the second runs it: without npm, as nobody in particular, from
# files that it can't write to. It needs the settings of production; compose.yaml in deploy/ has an example.

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /src
COPY LICENSE package.json package-lock.json ./
COPY clients clients
COPY deploy deploy
COPY edge edge
COPY gen gen
COPY server server
RUN ["node", "deploy/build.mjs", "/opt/countersign"]
RUN ["mkdir", "/edge"]

# Its point releases bring corrections of faults and nothing else. The Node that runs came with the packages: the one of package-lock.json.
FROM debian:12-slim
COPY --from=build /opt/countersign /opt/countersign
# Where the edge's configuration is rendered: a volume that is mounted there belongs to whom this does.
COPY --from=build --chown=65532:65532 /edge /edge
WORKDIR /opt/countersign
ENV PATH=/opt/countersign/node_modules/.bin:/usr/local/bin:/usr/bin:/bin \
    COUNTERSIGN_MODE=production \
    COUNTERSIGN_PUBLIC_ADDRESS=0.0.0.0:8080 \
    COUNTERSIGN_INTERNAL_ADDRESS=0.0.0.0:9090
EXPOSE 8080 9090
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --start-interval=1s --retries=3 \
  CMD ["node", "deploy/is-serving.ts", "http://127.0.0.1:8080"]
CMD ["node", "server/main.ts"]
