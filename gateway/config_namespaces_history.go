package gateway

import (
	"strconv"
	"time"

	"posthouse/socketio/access"
	"posthouse/socketio/history"
)

// NamespaceHistory says which rooms keep their last events.
type NamespaceHistory struct {
	Rooms  []string `yaml:"rooms"`
	Events int      `yaml:"events"` // 1 to 1000, default 100
	Age    string   `yaml:"age"`    // default 24h

	age time.Duration
}

// maxHistoryAge bounds history.age: the events lie in the memory of Redis.
const maxHistoryAge = 365 * 24 * time.Hour

func (h *NamespaceHistory) normalize(key func(string) string) error {
	var errs configErrors
	if len(h.Rooms) == 0 {
		errs.add(keyError(key("history.rooms"), "", "name the rooms that keep their events, such as [\"topic:*\"]"))
	}
	if _, err := access.Matching(h.Rooms...); err != nil {
		errs.add(&configError{key("history.rooms"), "is not usable", err.Error()})
	}
	if h.Events < 0 || h.Events > history.MaxEvents {
		errs.add(keyError(key("history.events"), strconv.Itoa(h.Events), "write a number from 1 to "+strconv.Itoa(history.MaxEvents)))
	}
	if h.Age == "" {
		h.Age = "24h"
	}
	var err error
	if h.age, err = parseDuration(h.Age); err != nil || h.age < time.Second || h.age > maxHistoryAge {
		errs.add(keyError(key("history.age"), h.Age, "write a time from 1s to 8760h, such as 24h"))
	}
	return errs.joinErrors()
}
