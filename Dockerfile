# docker build -t rosterd .
# docker run -p 8395:8395 -v ./prometheus.yml:/etc/rosterd/prometheus.yml:ro -v rosterd:/var/lib/rosterd --read-only rosterd
#
# With a binary that was built elsewhere, without any base image: put what belongs at the root of the image into dist/ and
# docker build --target prebuilt -t rosterd .

# How rosterd runs in a container, whoever built it. The storage is a folder of the user's, for volumes to inherit.
FROM scratch AS runtime
COPY --chown=65532:65532 deploy/docker/storage /var/lib/rosterd
USER 65532:65532
EXPOSE 8395
VOLUME /var/lib/rosterd
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/rosterd", "health", "--timeout=4s"]
ENTRYPOINT ["/rosterd"]
CMD ["run", "--config.file=/etc/rosterd/prometheus.yml", "--storage.path=/var/lib/rosterd"]

# Stands before the builder, so that a builder that goes through stages in their order needs no base image for it.
FROM runtime AS prebuilt
COPY dist/ /

FROM rust:1.95.0-alpine AS builder
RUN apk add --no-cache build-base ca-certificates linux-headers
WORKDIR /source
COPY . .
# The toolchain of the image is the pinned one, and links statically against musl.
# What --version says: docker build --build-arg ROSTERD_REVISION=$(git rev-parse HEAD) --build-arg ROSTERD_BRANCH=main .
ARG ROSTERD_REVISION ROSTERD_BRANCH
RUN cargo build --locked --profile dist --bin rosterd

FROM runtime AS final
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=builder /source/target/dist/rosterd /rosterd
