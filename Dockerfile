# The gateway in an image without anything else but a shell for health checks.
FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The build context has no .git: releases name their version.
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X main.version=${VERSION}" -o /posthouse .

FROM alpine:3.22
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /posthouse /usr/local/bin/posthouse
# The spool keeps logins while Redis is away: mount a volume here.
RUN install -d -o 65532 -g 65532 -m 700 /var/lib/posthouse
ENV POSTHOUSE_SPOOL=/var/lib/posthouse/spool
USER 65532:65532
EXPOSE 3000
ENTRYPOINT ["posthouse"]
