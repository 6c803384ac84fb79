package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
	"rsc.io/qr"
)

const quietZone = 4 // modules of white around the code (ISO/IEC 18004)

// qrText returns the text to draw. Only addresses that WeChat (or the local one)
// gives out are drawn, so that nobody uses our host for codes of their own.
func (p *pages) qrText(c echo.Context) (string, error) {
	text := c.QueryParam("u")
	if len(text) > 256 {
		return "", echo.NewHTTPError(http.StatusBadRequest)
	}
	for _, prefix := range p.qrPrefixes {
		if strings.HasPrefix(text, prefix) {
			return text, nil
		}
	}
	return "", echo.NewHTTPError(http.StatusBadRequest)
}

func (p *pages) qrSVG(c echo.Context) error {
	text, err := p.qrText(c)
	if err != nil {
		return err
	}
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return echo.NewHTTPError(http.StatusBadRequest)
	}
	size := code.Size + 2*quietZone
	svg := make([]byte, 0, 8<<10)
	svg = append(svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 `...)
	svg = strconv.AppendInt(svg, int64(size), 10)
	svg = append(svg, ' ')
	svg = strconv.AppendInt(svg, int64(size), 10)
	svg = append(svg, `" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h`...)
	svg = strconv.AppendInt(svg, int64(size), 10)
	svg = append(svg, 'v')
	svg = strconv.AppendInt(svg, int64(size), 10)
	svg = append(svg, `H0z"/><path fill="#000" d="`...)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			run := 0
			for x+run < code.Size && code.Black(x+run, y) {
				run++
			}
			if run == 0 {
				continue
			}
			svg = append(svg, 'M')
			svg = strconv.AppendInt(svg, int64(x+quietZone), 10)
			svg = append(svg, ' ')
			svg = strconv.AppendInt(svg, int64(y+quietZone), 10)
			svg = append(svg, 'h')
			svg = strconv.AppendInt(svg, int64(run), 10)
			svg = append(svg, "v1h-"...)
			svg = strconv.AppendInt(svg, int64(run), 10)
			svg = append(svg, 'z')
			x += run
		}
	}
	svg = append(svg, `"/></svg>`...)
	c.Response().Header().Set("Cache-Control", "private, max-age=300")
	c.Response().Header().Set("X-Content-Type-Options", "nosniff")
	return c.Blob(http.StatusOK, "image/svg+xml", svg)
}

func (p *pages) qrPNG(c echo.Context) error {
	text, err := p.qrText(c)
	if err != nil {
		return err
	}
	png, ok := p.imageCache.get(text)
	if !ok {
		code, err := qr.Encode(text, qr.M)
		if err != nil {
			return echo.NewHTTPError(http.StatusBadRequest)
		}
		// Drawing costs a millisecond; pictures that exist cost nothing.
		if !p.mayDraw(c.Request()) {
			return echo.NewHTTPError(http.StatusTooManyRequests)
		}
		code.Scale = 10
		png = code.PNG()
		p.imageCache.put(text, png)
	}
	c.Response().Header().Set("Cache-Control", "private, max-age=300")
	c.Response().Header().Set("X-Content-Type-Options", "nosniff")
	return c.Blob(http.StatusOK, "image/png", png)
}

// mayDraw counts a picture that is to be drawn for the address of r.
func (p *pages) mayDraw(r *http.Request) bool {
	if p.drawingRate == nil {
		return true
	}
	key := limitKey(p.admission.clientIP(r))
	ok, _ := p.drawingRate.allow(key)
	if !ok {
		p.admission.metrics.refusals.countRefusal("qr_images_per_ip", "address", key)
	}
	return ok
}

// maxImages bounds the pictures that are kept: some 2 KB each.
const maxImages = 512

// imageCache keeps the latest pictures by the text that they show. Its zero value is
// ready. Safe for concurrent use.
type imageCache struct {
	mu         sync.Mutex // guards what follows
	images     map[string][]byte
	namesByAge []string // by age; the oldest goes first
}

func (c *imageCache) get(text string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	png, ok := c.images[text]
	return png, ok
}

func (c *imageCache) put(text string, png []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.images == nil {
		c.images = map[string][]byte{}
	}
	if _, ok := c.images[text]; ok {
		return
	}
	if len(c.namesByAge) >= maxImages {
		delete(c.images, c.namesByAge[0])
		c.namesByAge = append(c.namesByAge[:0], c.namesByAge[1:]...)
	}
	c.images[text] = png
	c.namesByAge = append(c.namesByAge, text)
}
