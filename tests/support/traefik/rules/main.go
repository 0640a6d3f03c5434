// Reads {"rule","syntax","host"}, answers {"ok","match","error"}: Traefik's own muxer, asked GET http://host/.
package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"

	muxer "github.com/traefik/traefik/v3/pkg/muxer/http"
	"github.com/traefik/traefik/v3/pkg/middlewares/requestdecorator"
)

type question struct{ Rule, Syntax, Host string }
type answer struct {
	Ok    bool   `json:"ok"`
	Match bool   `json:"match"`
	Error string `json:"error"`
}

func ask(q question) answer {
	m, err := muxer.NewMuxer()
	if err != nil {
		panic(err)
	}
	yes := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	if err := m.AddRoute(q.Rule, q.Syntax, 1, yes); err != nil {
		return answer{Error: err.Error()}
	}
	r := httptest.NewRequest("GET", "http://placeholder/", nil)
	r.Host, r.RemoteAddr = q.Host, "127.0.0.1:1"
	r.Header.Set("Accept", "*/*")
	w := httptest.NewRecorder()
	requestdecorator.New(nil).ServeHTTP(w, r, m.ServeHTTP)
	return answer{Ok: true, Match: w.Code == 204}
}

func main() {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), json.NewEncoder(os.Stdout)
	decoder := json.NewDecoder(in)
	for {
		var q question
		if decoder.Decode(&q) != nil {
			return
		}
		if out.Encode(ask(q)) != nil {
			return
		}
	}
}
