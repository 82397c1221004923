import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";

/** How a unary call ended. */
export interface Called {
  readonly code: number;
  readonly message: string;
  readonly reply: Uint8Array;
  readonly metadata: Metadata;
}

/** The conformance peer: @grpc/grpc-js, without stubs, over raw bytes. */
export class GrpcClient {
  readonly #client: Client;
  constructor(address: string, options: Record<string, string | number> = {}) {
    this.#client = new Client(address, credentials.createInsecure(), {
      "grpc.max_send_message_length": -1,
      ...options,
    });
  }
  call(
    path: string,
    message: Uint8Array,
    { timeoutMs, metadata = new Metadata() }: { timeoutMs?: number; metadata?: Metadata } = {},
  ): Promise<Called> {
    return new Promise((resolve) => {
      const done = (error: ServiceError | null, reply?: Uint8Array) =>
        resolve({
          code: error?.code ?? 0,
          message: error?.details ?? "",
          reply: reply ?? new Uint8Array(0),
          metadata: error?.metadata ?? new Metadata(),
        });
      this.#client.makeUnaryRequest(
        path,
        (bytes: Uint8Array) => Buffer.from(bytes),
        (bytes: Buffer) => new Uint8Array(bytes),
        message,
        metadata,
        timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
        done,
      );
    });
  }
  close(): void {
    this.#client.close();
  }
}
