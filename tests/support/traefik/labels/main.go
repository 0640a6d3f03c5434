// Reads {"services":{name:{label:value}}} lines, answers what Traefik's swarm provider makes of them.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"text/template"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/config/label"
	"github.com/traefik/traefik/v3/pkg/provider"
)

type router struct {
	Rule, Service, Syntax string
	EntryPoints           []string
	Priority              int
	TLS                   bool
}
type answer struct {
	Routers  map[string]router `json:"routers"`
	Services map[string]string `json:"services"`
	TCP      map[string]string `json:"tcp"`
}

func one(name string, labels map[string]string, tpl *template.Template) (*dynamic.Configuration, error) {
	var enabled struct{ Enable bool }
	if err := label.Decode(labels, &enabled, "traefik.enable"); err != nil || !enabled.Enable {
		return nil, errors.New("disabled")
	}
	c, err := label.DecodeConfiguration(labels)
	if err != nil {
		return nil, err
	}
	stream := false
	if len(c.TCP.Routers) > 0 || len(c.TCP.Services) > 0 {
		stream = true
		if len(c.TCP.Services) == 0 {
			return nil, errors.New("port is missing")
		}
		for _, s := range c.TCP.Services {
			if s.LoadBalancer == nil || len(s.LoadBalancer.Servers) == 0 || s.LoadBalancer.Servers[0].Port == "" {
				return nil, errors.New("port is missing")
			}
		}
		provider.BuildTCPRouterConfiguration(context.Background(), c.TCP)
	}
	if len(c.UDP.Routers) > 0 || len(c.UDP.Services) > 0 {
		stream = true
		if len(c.UDP.Services) == 0 {
			return nil, errors.New("port is missing")
		}
		for _, s := range c.UDP.Services {
			if s.LoadBalancer == nil || len(s.LoadBalancer.Servers) == 0 || s.LoadBalancer.Servers[0].Port == "" {
				return nil, errors.New("port is missing")
			}
		}
	}
	if stream && len(c.HTTP.Routers) == 0 && len(c.HTTP.Middlewares) == 0 && len(c.HTTP.Services) == 0 {
		return c, nil
	}
	if len(c.HTTP.Services) == 0 {
		return nil, errors.New("port is missing")
	}
	for _, s := range c.HTTP.Services {
		if s.LoadBalancer == nil || len(s.LoadBalancer.Servers) == 0 || s.LoadBalancer.Servers[0].Port == "" {
			return nil, errors.New("port is missing")
		}
		v := &s.LoadBalancer.Servers[0]
		v.URL = v.Scheme + "://" + name + ":" + v.Port
		v.Scheme, v.Port = "", ""
	}
	provider.BuildRouterConfiguration(context.Background(), c.HTTP, name, tpl, struct{ Name string }{name})
	return c, nil
}

func main() {
	tpl, _ := provider.MakeDefaultRuleTemplate("Host(`default`)", nil)
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var q struct {
			Services map[string]map[string]string
		}
		if in.Decode(&q) != nil {
			return
		}
		all := map[string]*dynamic.Configuration{}
		for name, labels := range q.Services {
			if c, err := one(name, labels, tpl); err == nil {
				all[name] = c
			}
		}
		merged := provider.Merge(context.Background(), all)
		a := answer{map[string]router{}, map[string]string{}, map[string]string{}}
		for name, r := range merged.HTTP.Routers {
			if !r.DefaultRule {
				a.Routers[name] = router{r.Rule, r.Service, r.RuleSyntax, r.EntryPoints, r.Priority, r.TLS != nil}
			}
		}
		for name, s := range merged.HTTP.Services {
			a.Services[name] = s.LoadBalancer.Servers[0].URL
		}
		for name, r := range merged.TCP.Routers {
			a.TCP[name] = r.Rule
		}
		if out.Encode(a) != nil {
			return
		}
	}
}
