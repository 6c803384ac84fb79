package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"posthouse/socketio/history"
	"posthouse/socketio/presence"
)

type historyQuery struct {
	Namespace string `query:"namespace" required:"true"`
	Room      string `query:"room" required:"true"`
	Limit     int    `query:"limit" default:"100" minimum:"1" maximum:"1000"`
	Before    string `query:"before" doc:"The id of an event: only older ones are given."`
}

// registerRooms registers what is known of rooms: their members and their past.
func (h *Handler) registerRooms(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/api/presence", "presence", "Tell who is in a room", 404, 503),
		func(ctx context.Context, in *struct {
			Namespace string `query:"namespace" required:"true"`
			Room      string `query:"room" required:"true"`
		}) (*struct{ Body presence.List }, error) {
			n, err := h.namespace(ctx, in.Namespace, "query.namespace")
			if err != nil {
				return nil, err
			}
			var here *presence.Presence
			if h.presence != nil {
				here = h.presence(n)
			}
			if here == nil || !here.Watches(in.Room) {
				return nil, huma.Error404NotFound("this room has no presence", &huma.ErrorDetail{Location: "query.room", Value: in.Room})
			}
			list, err := here.Members(ctx, n, in.Room)
			if err != nil {
				return nil, h.unavailable(err)
			}
			return &struct{ Body presence.List }{*list}, nil
		})
	huma.Register(api, operation(http.MethodGet, "/api/history", "history", "Tell the last events of a room", 404, 503),
		func(ctx context.Context, in *historyQuery) (*struct{ Body history.Page }, error) {
			n, err := h.namespace(ctx, in.Namespace, "query.namespace")
			if err != nil {
				return nil, err
			}
			kept, _ := n.Recorder().(*history.History)
			if kept == nil || !kept.Keeps(in.Room) {
				return nil, huma.Error404NotFound("this room has no history", &huma.ErrorDetail{Location: "query.room", Value: in.Room})
			}
			page, err := kept.Read(ctx, n, in.Room, in.Limit, in.Before)
			switch {
			case errors.Is(err, history.ErrRequest):
				return nil, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "query.before", Message: "it must be the id of an event", Value: in.Before})
			case err != nil:
				return nil, h.unavailable(err)
			}
			return &struct{ Body history.Page }{*page}, nil
		})
}
