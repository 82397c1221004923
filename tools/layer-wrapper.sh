#!/bin/sh
# Lambda starts every executable file in /opt/extensions. Which Node: WEIR_NODE, the layer's own, that of the function's Node.js runtime.
for node in "$WEIR_NODE" /opt/weir/node /var/lang/bin/node; do
  [ -n "$node" ] && [ -x "$node" ] && break
done
# Little memory before speed: large bodies go back to the system when they are freed; no optimizing compiler, whose own code and memory would
# be 6 MB more; garbage is collected in one go, because while V8 marks step by step nothing is freed (src/lambda/rest.ts says when).
export MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=65536 MALLOC_TRIM_THRESHOLD_=131072 UV_THREADPOOL_SIZE=2
exec "$node" --expose-gc --single-threaded --no-opt --no-incremental-marking --optimize-for-size --max-semi-space-size=1 --max-old-space-size=48 "$(dirname "$0")/../weir/extension.cjs" --name "$(basename "$0")" "$@"
