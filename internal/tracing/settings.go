package tracing

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Settings are the OTEL_* variables that decide whether and what is traced. The exporter
// reads the others: endpoint, headers, timeout, compression, certificate.
type Settings struct {
	samplerName string
	ratio       float64
}

// A SettingError names a variable that cannot be used.
type SettingError struct{ Variable, Value, Fix string }

func (e *SettingError) Error() string { return e.Variable + ": " + e.Fix }

// the variables that are read here
const (
	endpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesVariable   = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	exporterVariable = "OTEL_TRACES_EXPORTER"
	protocolVariable = "OTEL_EXPORTER_OTLP_PROTOCOL"
	samplerVariable  = "OTEL_TRACES_SAMPLER"
	argumentVariable = "OTEL_TRACES_SAMPLER_ARG"
	disabledVariable = "OTEL_SDK_DISABLED"
)

// Read reads the settings from the environment. It returns nil when traces are off: no
// endpoint is given and OTEL_TRACES_EXPORTER is not otlp, or one of the variables switches
// them off. Its error joins one *SettingError for each wrong variable.
func Read(getenv func(string) string) (*Settings, error) {
	get := func(name string) string { return strings.TrimSpace(getenv(name)) }
	if strings.EqualFold(get(disabledVariable), "true") {
		return nil, nil
	}
	var errs []error
	wrong := func(name, value, fix string) { errs = append(errs, &SettingError{name, value, fix}) }
	endpoints := get(endpointVariable) + get(tracesVariable)
	switch exporter := get(exporterVariable); exporter {
	case "none":
		return nil, nil
	case "":
		if endpoints == "" {
			return nil, nil
		}
	case "otlp":
	default:
		wrong(exporterVariable, exporter, "use otlp or none")
	}
	for _, name := range []string{endpointVariable, tracesVariable} {
		if text := get(name); text != "" {
			u, err := url.Parse(text)
			switch {
			case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
				wrong(name, "…", "write a whole URL such as http://127.0.0.1:4318")
			case u.User != nil:
				wrong(name, "…", "put the credentials into OTEL_EXPORTER_OTLP_HEADERS")
			}
		}
	}
	for _, name := range []string{protocolVariable, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		if protocol := get(name); protocol != "" && protocol != "http/protobuf" {
			wrong(name, protocol, "use http/protobuf, or remove it")
		}
	}
	s := &Settings{samplerName: strings.ToLower(get(samplerVariable)), ratio: 1}
	switch s.samplerName {
	case "":
		s.samplerName = "parentbased_always_on"
	case "always_on", "always_off", "parentbased_always_on", "parentbased_always_off":
	case "traceidratio", "parentbased_traceidratio":
		if text := get(argumentVariable); text != "" {
			ratio, err := strconv.ParseFloat(text, 64)
			if err != nil || !(ratio >= 0 && ratio <= 1) {
				wrong(argumentVariable, text, "use a number from 0 to 1")
			}
			s.ratio = ratio
		}
	default:
		wrong(samplerVariable, s.samplerName, "use parentbased_always_on (the default), parentbased_traceidratio, parentbased_always_off, always_on, traceidratio or always_off")
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

func (s *Settings) sampler() sdktrace.Sampler {
	var root sdktrace.Sampler
	name, followsParent := strings.CutPrefix(s.samplerName, "parentbased_")
	switch name {
	case "always_off":
		root = sdktrace.NeverSample()
	case "traceidratio":
		root = sdktrace.TraceIDRatioBased(s.ratio)
	default:
		root = sdktrace.AlwaysSample()
	}
	if followsParent {
		return sdktrace.ParentBased(root)
	}
	return root
}
