package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"posthouse/socketio"
)

// SocketInfo is a socket as the API tells of it.
type SocketInfo struct {
	ID        string    `json:"id"`
	User      string    `json:"user,omitempty" doc:"The subject of its token."`
	Rooms     []string  `json:"rooms" doc:"Without the room of its own id."`
	Address   string    `json:"address"`
	Transport string    `json:"transport,omitempty" doc:"Told by the node that holds the connection only."`
	Since     time.Time `json:"since"`
}

// SocketList is the answer to GET /api/sockets.
type SocketList struct {
	Sockets    []SocketInfo `json:"sockets"`
	Cursor     string       `json:"cursor,omitempty" doc:"Ask again with it for the rest."`
	Incomplete []string     `json:"incomplete,omitempty" doc:"The nodes that were silent."`
}

// RoomList is the answer to GET /api/rooms.
type RoomList struct {
	Rooms      []string `json:"rooms" doc:"Without those of single sockets."`
	Cursor     string   `json:"cursor,omitempty"`
	Incomplete []string `json:"incomplete,omitempty"`
}

// user is the subject of a socket's token: auth.Subject and hook store it under this name.
var user = socketio.NewKey[string]("sub")

type socketsQuery struct {
	Namespace string `query:"namespace" required:"true"`
	Room      string `query:"room"`
	User      string `query:"user"`
	Cursor    string `query:"cursor"`
	Limit     int    `query:"limit" default:"100" minimum:"1" maximum:"1000"`
}

func (h *Handler) registerRead(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/api/sockets", "sockets", "List sockets", 404),
		func(ctx context.Context, in *socketsQuery) (*struct{ Body SocketList }, error) {
			n, err := h.namespace(ctx, in.Namespace, "query.namespace")
			if err != nil {
				return nil, err
			}
			all, incomplete, err := h.fetch(ctx, n, in.Room)
			if err != nil {
				return nil, err
			}
			list := SocketList{Sockets: []SocketInfo{}, Incomplete: incomplete}
			for _, s := range all {
				if info := infoOf(n, s); info.ID > in.Cursor && (in.User == "" || info.User == in.User) {
					list.Sockets = append(list.Sockets, info)
				}
			}
			slices.SortFunc(list.Sockets, func(a, b SocketInfo) int { return cmp.Compare(a.ID, b.ID) })
			if len(list.Sockets) > in.Limit {
				list.Sockets = list.Sockets[:in.Limit]
				list.Cursor = list.Sockets[in.Limit-1].ID
			}
			return &struct{ Body SocketList }{list}, nil
		})
	huma.Register(api, operation(http.MethodGet, "/api/sockets/{namespace}/{id}", "socket", "Tell of one socket", 404),
		func(ctx context.Context, in *struct {
			Namespace string `path:"namespace" doc:"Without its first slash, URL-encoded."`
			ID        string `path:"id"`
		}) (*struct{ Body SocketInfo }, error) {
			n, err := h.namespace(ctx, "/"+in.Namespace, "path.namespace")
			if err != nil {
				return nil, err
			}
			all, incomplete, err := h.fetch(ctx, n, in.ID)
			if err != nil {
				return nil, err
			}
			i := slices.IndexFunc(all, func(s *socketio.RemoteSocket) bool { return s.ID() == in.ID })
			switch {
			case i >= 0:
				return &struct{ Body SocketInfo }{infoOf(n, all[i])}, nil
			case incomplete != nil:
				return nil, h.unavailable(fmt.Errorf("silent: %v", incomplete))
			}
			return nil, huma.Error404NotFound("there is no such socket")
		})
	huma.Register(api, operation(http.MethodGet, "/api/rooms", "rooms", "List rooms", 404),
		func(ctx context.Context, in *struct {
			Namespace string `query:"namespace" required:"true"`
			Cursor    string `query:"cursor"`
			Limit     int    `query:"limit" default:"1000" minimum:"1" maximum:"10000"`
		}) (*struct{ Body RoomList }, error) {
			n, err := h.namespace(ctx, in.Namespace, "query.namespace")
			if err != nil {
				return nil, err
			}
			all, incomplete, err := h.fetch(ctx, n, "")
			if err != nil {
				return nil, err
			}
			return &struct{ Body RoomList }{roomsOf(all, in.Cursor, in.Limit, incomplete)}, nil
		})
}

// roomsOf is one page of the rooms of sockets.
func roomsOf(all []*socketio.RemoteSocket, cursor string, limit int, incomplete []string) RoomList {
	names := map[string]bool{}
	for _, s := range all {
		for _, room := range s.Rooms() {
			if room != s.ID() && room > cursor {
				names[room] = true
			}
		}
	}
	list := RoomList{Rooms: make([]string, 0, len(names)), Incomplete: incomplete}
	for room := range names {
		list.Rooms = append(list.Rooms, room)
	}
	slices.Sort(list.Rooms)
	if len(list.Rooms) > limit {
		list.Rooms = list.Rooms[:limit]
		list.Cursor = list.Rooms[limit-1]
	}
	return list
}

// fetch returns the sockets of a room, of the namespace without one, and the nodes that
// did not answer.
func (h *Handler) fetch(ctx context.Context, n *socketio.Namespace, room string) (all []*socketio.RemoteSocket, incomplete []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	op := n.To()
	if room != "" {
		op = n.To(room)
	}
	all, err = op.FetchSockets(ctx)
	var partial *socketio.PartialError
	switch {
	case err == nil:
		return all, nil, nil
	case errors.As(err, &partial):
		incomplete = partial.Missing
		if len(incomplete) == 0 {
			incomplete = []string{fmt.Sprintf("%d of %d", partial.Expected-partial.Received, partial.Expected)}
		}
		return all, incomplete, nil
	case len(all) > 0:
		h.log.Warn("api: other nodes could not be reached", "error", err)
		return all, []string{"unknown"}, nil
	}
	return nil, nil, h.unavailable(err)
}

func infoOf(n *socketio.Namespace, s *socketio.RemoteSocket) SocketInfo {
	handshake := s.Handshake()
	info := SocketInfo{ID: s.ID(), Rooms: []string{}, Address: handshake.Address, Since: time.UnixMilli(handshake.Issued).UTC()}
	info.User, _ = user.In(s)
	for _, room := range s.Rooms() {
		if room != s.ID() {
			info.Rooms = append(info.Rooms, room)
		}
	}
	slices.Sort(info.Rooms)
	if local := n.Socket(s.ID()); local != nil {
		info.Transport = local.Conn().Transport()
	}
	return info
}
