package main

import (
	"strings"

	"posthouse/socketio"
	"posthouse/socketio/presence"
)

// watchPeople tells the rooms who is gone for good, with the event "presence". A socket
// that ends says "absent" itself; those of a replica that was killed cannot.
func (c *chat) watchPeople(store presence.Store) {
	here, err := presence.New(&presence.Options{
		Rooms: func(room string) bool { return strings.HasPrefix(room, roomPrefix) },
		User: func(s *socketio.Socket) string {
			me, _ := person.Of(s)
			return me.ID
		},
		Store: store, // nil: this replica is the only one
	})
	if err != nil {
		panic(err) // the options are those above
	}
	c.here = here
	here.Apply(c.io.Of("/"))
}
