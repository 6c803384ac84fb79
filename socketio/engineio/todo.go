package engineio

import "net/http"
import "encoding/json"

func oldMSIE(r *http.Request) bool                              { return false }
func (srv *Server) setCookie(w http.ResponseWriter, s *Session) {}
func decodeBinary3(b []byte) (packet, error)                    { return packet{}, errParse }
func appendQuoted(dst []byte, s string) []byte                  { b, _ := json.Marshal(s); return append(dst, b...) }
