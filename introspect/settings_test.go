package introspect_test

import (
	"fmt"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
)

func TestSettings(t *testing.T) {
	t.Run("resource_server_introspection_url", func(t *testing.T) {
		s := lyingserver.New(t, lyingserver.Answer(good))
		_, err := introspect.New(introspect.Config{Endpoint: s.URL})
		assert.ErrorContains(t, err, "Config.Credential is missing")
		_, err = asking(t, s).Verify(t.Context(), "abc")
		require.NoError(t, err)
		assert.Equal(t, "/introspect", s.Last(t).URL.Path)
	})
	t.Run("resource_server_auth_token", func(t *testing.T) {
		s := lyingserver.New(t, lyingserver.Answer(good))
		c := asking(t, s, func(cfg *introspect.Config) { cfg.Credential = introspect.Bearer("mF_9.B5f-4.1JqM") })
		_, err := c.Verify(t.Context(), "abc")
		require.NoError(t, err)
		assert.Equal(t, "Bearer mF_9.B5f-4.1JqM", s.Last(t).Header.Get("Authorization"))
	})
	t.Run("resource_server_introspection_credentials", func(t *testing.T) {
		s := lyingserver.New(t, lyingserver.Answer(good))
		c := asking(t, s, func(cfg *introspect.Config) { cfg.Credential = introspect.Basic("rs_id", "rs_secret") })
		_, err := c.Verify(t.Context(), "abc")
		require.NoError(t, err)
		assert.Equal(t, "Basic cnNfaWQ6cnNfc2VjcmV0", s.Last(t).Header.Get("Authorization"))
	})
	t.Run("authentication_server_exp_time_zone", func(t *testing.T) {
		berlin, err := time.LoadLocation("Europe/Berlin")
		require.NoError(t, err)
		for _, test := range []struct {
			name    string
			zone    *time.Location
			reading string // of the clock on the wall
			want    string // in UTC
		}{
			{"default", nil, "2024-07-01T12:00:00Z", "2024-07-01T12:00:00Z"},
			{"UTC", time.UTC, "2024-07-01T12:00:00Z", "2024-07-01T12:00:00Z"},
			{"summer", berlin, "2024-07-01T12:00:00Z", "2024-07-01T10:00:00Z"},
			{"winter", berlin, "2024-12-01T12:00:00Z", "2024-12-01T11:00:00Z"},
			{"before the clocks go back", berlin, "2024-10-27T01:59:59Z", "2024-10-26T23:59:59Z"},
			{"twice on the wall", berlin, "2024-10-27T02:30:00Z", "2024-10-27T00:30:00Z"},
			{"after the clocks went back", berlin, "2024-10-27T03:00:00Z", "2024-10-27T02:00:00Z"},
			{"never on the wall", berlin, "2024-03-31T02:30:00Z", "2024-03-31T00:30:00Z"},
			{"before the clocks go forward", berlin, "2024-03-31T01:30:00Z", "2024-03-31T00:30:00Z"},
			{"after the clocks went forward", berlin, "2024-03-31T03:00:00Z", "2024-03-31T01:00:00Z"},
			{"fixed", time.FixedZone("", -5*3600), "2024-07-01T12:00:00Z", "2024-07-01T17:00:00Z"},
		} {
			t.Run(test.name, func(t *testing.T) {
				reading, err := time.Parse(time.RFC3339, test.reading)
				require.NoError(t, err)
				got, err := answered(t, fmt.Sprintf(`{"active":true,"exp":%d}`, reading.Unix()), func(cfg *introspect.Config) { cfg.ExpZone = test.zone })
				require.NoError(t, err)
				assert.Equal(t, test.want, got.Expires.UTC().Format(time.RFC3339))
			})
		}
	})
}
