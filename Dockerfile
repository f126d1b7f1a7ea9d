# podsignal and nothing else: one static binary on an empty image.
#
# Build (make image does the same, and fills VERSION and COMMIT from git):
#
#     docker build -t podsignal:dev .
#     docker buildx build --platform linux/arm64 -t podsignal:dev-arm64 .
#
# Use it beside the program to be signalled: in its PID namespace, with its uid
# (0:0 for nginx), and with the watched folder mounted at the same path.
#
#     docker run -d --name web -v "$PWD/conf.d:/etc/nginx/conf.d:ro" nginx:1.28
#     docker run -d --pid container:web --user 0:0 --cap-drop ALL --read-only \
#         -v "$PWD/conf.d:/etc/nginx/conf.d:ro" \
#         -e PROCESS=nginx -e FILE=/etc/nginx/conf.d podsignal:dev
#
# examples/nginx has the same for Compose and for Kubernetes.

# The compiler runs on the machine's own architecture and compiles for the other
# one. The legacy builder sets no BUILDPLATFORM: "linux" is then the machine's.
FROM --platform=${BUILDPLATFORM:-linux} golang:1.26 AS build
WORKDIR /src

# Unset or empty, it is Go's own default.
ARG GOPROXY
COPY go.mod go.sum ./
RUN go mod download

COPY . .
# Without BuildKit TARGETARCH is empty, which means the machine's own to Go.
ARG TARGETARCH
ARG VERSION=dev
ARG COMMIT=unknown
RUN CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH go build -trimpath \
    -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT" \
    -o /podsignal ./cmd/podsignal

FROM scratch
COPY --from=build /podsignal /podsignal
USER 65532:65532
ENTRYPOINT ["/podsignal"]
