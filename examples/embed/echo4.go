package embed

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"posthouse/socketio"
)

// Echo4 mounts io on Echo v4. Keep the middlewares for timeouts, body dumps and
// gzip off this route: a poll may wait for 25 seconds and more, and io compresses
// by itself.
func Echo4(io *socketio.Server) http.Handler {
	e := echo.New()
	e.Use(middleware.Recover())
	e.Any("/socket.io/*", echo.WrapHandler(io))
	return e
}
