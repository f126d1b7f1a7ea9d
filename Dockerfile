# podsignal and nothing else: one static binary on an empty image, the list of what it
# is made of, /podsignal.cdx.json, and the licences of all that, /LICENSES.
#
# Build (make image and make image-all do the same, and fill VERSION, COMMIT and
# SOURCE_DATE_EPOCH):
#
#     docker build -t podsignal:0.1.0 .
#     docker buildx build --platform linux/arm64 --load -t podsignal:0.1.0-arm64 .
#
# Use it beside the program to be signalled: in its PID namespace, with its uid
# (0:0 for nginx), and with the watched folder mounted at the same path.
#
#     docker run -d --name web -v "$PWD/conf.d:/etc/nginx/conf.d:ro" nginx:1.28
#     docker run -d --pid container:web --user 0:0 --cap-drop ALL --read-only \
#         -v "$PWD/conf.d:/etc/nginx/conf.d:ro" \
#         -e PROCESS=nginx -e FILE=/etc/nginx/conf.d podsignal:0.1.0
#
# examples/nginx has the same for Compose and for Kubernetes.

ARG VERSION=0.1.0
ARG COMMIT=unknown

# The compiler runs on the machine's own architecture and compiles for the other
# one. The legacy builder sets no BUILDPLATFORM: "linux" is then the machine's.
FROM --platform=${BUILDPLATFORM:-linux} golang:1.26 AS build
WORKDIR /src

# Unset or empty, it is Go's own default.
ARG GOPROXY
COPY go.mod go.sum ./
RUN go mod download

# Not cmd/kubectl-podsignal, which is another image.
COPY LICENSE ./
COPY signal signal
COPY watcher watcher
COPY cmd/programs cmd/programs
COPY cmd/sbom cmd/sbom
COPY cmd/internal cmd/internal
COPY cmd/podsignal cmd/podsignal
RUN go build -o /sbom ./cmd/sbom

# Without BuildKit TARGETARCH is empty, which means the machine's own to Go.
ARG TARGETARCH
ARG VERSION
ARG COMMIT
# The time of the files, so that a commit makes the same layer whenever it is built.
ARG SOURCE_DATE_EPOCH=0
RUN BUILD=github.com/podsignal/podsignal/cmd/internal/build; \
    CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH go build -trimpath -tags nethttpomithttp2 \
        -ldflags "-s -w -X $BUILD.Version=$VERSION -X $BUILD.Commit=$COMMIT" \
        -o /out/podsignal ./cmd/podsignal && \
    /sbom -version "$VERSION" /out/podsignal >/out/podsignal.cdx.json && \
    /sbom -version "$VERSION" -licences /out/podsignal >/out/LICENSES && \
    touch -d "@$SOURCE_DATE_EPOCH" /out/*

FROM scratch
ARG VERSION
ARG COMMIT
LABEL org.opencontainers.image.title="podsignal" \
      org.opencontainers.image.description="Signals a program when its mounted ConfigMap or Secret changes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
COPY --from=build /out/podsignal /out/podsignal.cdx.json /out/LICENSES /
USER 65532:65532
ENTRYPOINT ["/podsignal"]
