#!/bin/sh
# Lambda starts every executable file in /opt/extensions. Which Node: WEIR_NODE, the layer's own, that of the function's Node.js runtime.
for node in "$WEIR_NODE" /opt/weir/node /var/lang/bin/node; do
  [ -n "$node" ] && [ -x "$node" ] && break
done
export MALLOC_ARENA_MAX=1 UV_THREADPOOL_SIZE=2
exec "$node" --expose-gc --single-threaded --max-semi-space-size=1 --optimize-for-size --max-old-space-size=64 "$(dirname "$0")/../weir/extension.cjs" --name "$(basename "$0")" "$@"
