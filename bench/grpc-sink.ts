/** A gRPC sink that reads messages and answers OK, as cheaply as node:http2 allows. Child process of the benches: tells its port. */
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";

const REPLY = new Uint8Array(5);
const server = createServer({ settings: { initialWindowSize: 4 << 20 } });
server.on("session", (session) => {
  session.setLocalWindowSize(16 << 20);
  session.on("error", () => {});
});
server.on("stream", (stream) => {
  stream.on("error", () => {});
  stream.resume();
  stream.on("end", () => {
    stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(REPLY);
  });
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ port });
});
process.on("disconnect", () => process.exit());
