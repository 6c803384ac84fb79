package wxsim

import (
	"net/http"
)

func (s *Sim) routePage(route func(string, http.HandlerFunc)) {}
