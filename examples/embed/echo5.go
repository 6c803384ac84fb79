package embed

import (
	"net/http"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"posthouse/socketio"
)

// Echo5 mounts io on Echo v5. Keep the middlewares for timeouts, body dumps and
// gzip off this route: a poll may wait for 25 seconds and more, and io compresses
// by itself.
func Echo5(io *socketio.Server) http.Handler {
	e := echo.New()
	e.Use(middleware.Recover())
	e.Any("/socket.io/*", echo.WrapHandler(io))
	return e
}
