# What abra reads .env with, as a program for tests to compare with. 1.5.1 is the last release; abra's own fork, which
# hands out comments too, cannot be had.
. ./tool.sh

tool godotenv-lines-1.5.1
cp -r godotenv "$WORK/source"
cd "$WORK/source"
CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -ldflags "-s -w" -o "$WORK/out" .
echo '"QTogJ2In"' | says '{"values":{"A":"b"}}' "$WORK/out"
finish
