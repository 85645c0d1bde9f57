# The server as an image: one static binary on nothing.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" --tag gaung/gaung:0.1.0 .
#
# With `--platform linux/amd64,linux/arm64` both are compiled on the machine that builds, without emulation: nothing of
# the last stage is run.
#
# The base is `scratch`: no shell, no package, nothing to update but this. Statically linked, glibc resolves names by
# /etc/hosts and DNS with code of its own and loads no library for it; /etc/nsswitch.conf asks for no more than these.

FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS build
ARG BUILDARCH
ARG TARGETARCH
WORKDIR /source
COPY image/cross image/target image/
RUN [ "$TARGETARCH" = "$BUILDARCH" ] || image/cross
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    image/compile /gaung

FROM scratch
ARG VERSION=""
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="Gaung" \
      org.opencontainers.image.description="A clustered WebSocket server that speaks the Pusher protocol" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE"

COPY image/root/ /
COPY LICENSE /LICENSE
# Whom to trust for NATS over TLS. Webhooks and access callbacks go by the authorities inside the binary.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /gaung /gaung

# In a container every address is behind a network that the operator lays out; loopback would be heard by nobody.
ENV GAUNG_HOST=0.0.0.0 \
    GAUNG_ADMIN_HOST=0.0.0.0
EXPOSE 6001 9601
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/gaung", "health"]
ENTRYPOINT ["/gaung"]
