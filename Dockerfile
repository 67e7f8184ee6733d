# signalfold in a container: docs/operations.md shows how to run it with HTTPS (compose.yaml).
FROM denoland/deno:debian-2.9.6

# Everything that runs is downloaded now, so the container needs no registry.
ENV DENO_DIR=/var/cache/signalfold
RUN useradd --system --uid 900 --home-dir /var/lib/signalfold --shell /usr/sbin/nologin signalfold \
  && install -d -o signalfold -g signalfold -m 0700 /var/lib/signalfold /var/cache/signalfold
WORKDIR /opt/signalfold
COPY . .
USER signalfold
RUN deno install --quiet --frozen --entrypoint main.ts

ENV HOST=0.0.0.0 PORT=8000 KV_URL=/var/lib/signalfold/signalfold.db
EXPOSE 8000
VOLUME /var/lib/signalfold
# The image has no curl. A server that is stopping, or whose storage does not answer, is not ready.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["deno", "eval", "--no-config", "Deno.exit((await fetch('http://127.0.0.1:8000/readyz')).ok ? 0 : 1)"]
STOPSIGNAL SIGTERM
# The task gives the server its permissions and its flags.
CMD ["deno", "task", "start"]
