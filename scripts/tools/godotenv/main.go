// Reads .env texts as abra's reader does. Each line of standard input is one text, a JSON string in base64; each line
// of standard output the answer to it, {"values": {...}} or {"refused": "why"}. Bytes that are no UTF-8 come out as
// U+FFFD, as in any JSON of Go's.
package main

import (
	"bytes"
	"encoding/json"
	"os"

	"github.com/joho/godotenv"
)

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var text []byte
		if in.Decode(&text) != nil {
			return
		}
		answer := map[string]any{}
		if values, err := godotenv.Parse(bytes.NewReader(text)); err != nil {
			answer["refused"] = err.Error()
		} else {
			answer["values"] = values
		}
		if out.Encode(answer) != nil {
			os.Exit(1)
		}
	}
}
