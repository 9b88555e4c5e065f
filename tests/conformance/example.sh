# shellcheck shell=bash disable=SC2154 # what the test and tests/lib.sh set
# The example that the project ships.

if [[ -n ${CASES:-} && " $CASES " != *" example "* ]]; then
	: # its base images are large
elif import_golang "$U" "$arch" && buildah_import "$fixture" golang:1.19 "$arch"; then
	conform example 'examples/golang-alpine' <"$top/examples/golang-alpine/Dockerfile"
	cp "$top"/examples/golang-alpine/{main.go,go.mod,greeting.txt,.dockerignore} .
	by_first_user
else
	skip example "${reason:-buildah makes no base image of golang}"
fi
