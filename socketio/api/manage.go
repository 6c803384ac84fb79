package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"posthouse/socketio"
)

// RoomsRequest is the body of POST /api/join and POST /api/leave.
type RoomsRequest struct {
	Namespace string   `json:"namespace" minLength:"1" doc:"The namespace, such as /app."`
	To        []string `json:"to" minItems:"1" doc:"Rooms or ids of the sockets that join or leave."`
	Rooms     []string `json:"rooms" minItems:"1" doc:"What they join or leave."`
}

// DisconnectRequest is the body of POST /api/disconnect.
type DisconnectRequest struct {
	Namespace string   `json:"namespace" minLength:"1" doc:"The namespace, such as /app."`
	To        []string `json:"to" minItems:"1" doc:"Rooms or ids of the sockets that are disconnected."`
	Close     bool     `json:"close,omitempty" doc:"End the connections too, with their other namespaces."`
}

// empty is the answer {}.
type empty struct{ Body struct{} }

func (h *Handler) registerManage(api huma.API) {
	rooms := func(do func(socketio.BroadcastOperator, context.Context, ...string) error) func(context.Context, *struct{ Body RoomsRequest }) (*empty, error) {
		return func(ctx context.Context, in *struct{ Body RoomsRequest }) (*empty, error) {
			n, err := h.namespace(ctx, in.Body.Namespace, "body.namespace")
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(ctx, h.timeout)
			defer cancel()
			if err := do(n.To(in.Body.To...), ctx, in.Body.Rooms...); err != nil {
				return nil, h.unavailable(err)
			}
			return &empty{}, nil
		}
	}
	huma.Register(api, operation(http.MethodPost, "/api/join", "join", "Put sockets into rooms", 404, 503), rooms(socketio.BroadcastOperator.SocketsJoin))
	huma.Register(api, operation(http.MethodPost, "/api/leave", "leave", "Take sockets out of rooms", 404, 503), rooms(socketio.BroadcastOperator.SocketsLeave))
	huma.Register(api, operation(http.MethodPost, "/api/disconnect", "disconnect", "Disconnect sockets", 404, 503),
		func(ctx context.Context, in *struct{ Body DisconnectRequest }) (*empty, error) {
			n, err := h.namespace(ctx, in.Body.Namespace, "body.namespace")
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(ctx, h.timeout)
			defer cancel()
			if err := n.To(in.Body.To...).DisconnectSockets(ctx, in.Body.Close); err != nil {
				return nil, h.unavailable(err)
			}
			return &empty{}, nil
		})
}
