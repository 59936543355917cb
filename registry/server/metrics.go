package server

import (
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics has a registry of its own: two servers in one process do not mix.
type metrics struct {
	handler    http.Handler
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	inFlight   prometheus.Gauge
	uploaded   prometheus.Counter
	downloaded prometheus.Counter
}

func newMetrics(version string) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "almanac_http_requests_total", Help: "Requests answered, by route, method and status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "almanac_http_request_duration_seconds", Help: "Time from a request's header to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60, 600},
		}, []string{"route", "method"}),
		inFlight:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "almanac_http_requests_in_flight", Help: "Requests being answered."}),
		uploaded:   prometheus.NewCounter(prometheus.CounterOpts{Name: "almanac_uploaded_bytes_total", Help: "Bytes of files received, finished or not."}),
		downloaded: prometheus.NewCounter(prometheus.CounterOpts{Name: "almanac_downloaded_bytes_total", Help: "Bytes of files sent."}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "almanac_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	reg := prometheus.NewRegistry()
	reg.MustRegister(m.requests, m.duration, m.inFlight, m.uploaded, m.downloaded, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	return m
}

// observe counts a request that has ended. What a client makes up (paths, methods) becomes no label:
// it could make any number of them.
func (m *metrics) observe(x *exchange, method string, took time.Duration) {
	m.inFlight.Dec()
	route := x.route
	if route == "" {
		route = "none"
	}
	if !slices.Contains(methods, method) {
		method = "other"
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(x.status)).Inc()
	m.duration.WithLabelValues(route, method).Observe(took.Seconds())
}
