package sneck_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/scopes"
)

// says returns a verifier with one answer.
func says(t *sneck.Token, err error) sneck.Verifier {
	return sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) { return t, err })
}

func TestBothAnswers(t *testing.T) {
	token := &sneck.Token{Subject: "alice"}
	down := &sneck.UnavailableError{Err: errors.New("down")}
	for _, test := range []struct {
		name          string
		local, remote sneck.Verifier
		want          error // nil: a token
	}{
		{"yes, yes", says(token, nil), says(token, nil), nil},
		{"not mine", says(nil, sneck.ErrUnrecognized), never(t), sneck.ErrUnrecognized},
		{"no", says(nil, sneck.ErrInvalid), never(t), sneck.ErrInvalid},
		{"unknown", says(nil, down), never(t), down},
		{"yes, not mine", says(token, nil), says(nil, sneck.ErrUnrecognized), sneck.ErrInvalid},
		{"yes, no", says(token, nil), says(nil, sneck.ErrInvalid), sneck.ErrInvalid},
		{"yes, unknown", says(token, nil), says(nil, down), down},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := sneck.Both(test.local, test.remote).Verify(t.Context(), "t")
			if test.want == nil {
				require.NoError(t, err)
				assert.Equal(t, "alice", got.Subject)
				return
			}
			require.ErrorIs(t, err, test.want)
			assert.Nil(t, got)
			if test.want != sneck.ErrUnrecognized {
				assert.NotErrorIs(t, err, sneck.ErrUnrecognized)
			}
		})
	}
	_, err := sneck.Both(says(nil, nil), says(token, nil)).Verify(t.Context(), "t")
	require.Error(t, err)
	assert.NotErrorIs(t, err, sneck.ErrInvalid, "a broken verifier is no verdict")
}

func never(t *testing.T) sneck.Verifier {
	return sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) {
		t.Error("asked although the first said no")
		return nil, sneck.ErrInvalid
	})
}

func TestBothNarrows(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 24, 12, minute, 0, 0, time.UTC) }
	local := &sneck.Token{
		Issuer: "https://as.example", Subject: "alice", ClientID: "app", ID: "1",
		Audience: []string{"a", "b"}, Scopes: scopes.Set{"read", "write"},
		IssuedAt: at(0), NotBefore: at(1), Expires: at(30), AuthTime: at(0), ACR: "silver",
		Confirmation: &sneck.Confirmation{JKT: "thumb"},
		VerifiedAt:   at(10), Source: "jwt", RawClaims: []byte(`{"l":1}`),
	}
	remote := &sneck.Token{
		Subject: "alice", ClientID: "app", Username: "Alice", Type: "DPoP",
		Audience: []string{"b", "c"}, Scopes: scopes.Set{"admin", "write", "read"},
		IssuedAt: at(0), NotBefore: at(0), Expires: at(20), AuthTime: at(2), ACR: "gold",
		VerifiedAt: at(9), Source: "introspection", RawClaims: []byte(`{"r":1}`),
	}
	l, r := *local, *remote
	got, err := sneck.Both(says(local, nil), says(remote, nil)).Verify(t.Context(), "t")
	require.NoError(t, err)
	assert.Equal(t, &sneck.Token{
		Issuer: "https://as.example", Subject: "alice", ClientID: "app", ID: "1", Username: "Alice", Type: "DPoP",
		Audience: []string{"b"}, Scopes: scopes.Set{"write", "read"},
		IssuedAt: at(0), NotBefore: at(1), Expires: at(20), AuthTime: at(0), ACR: "gold",
		Confirmation: &sneck.Confirmation{JKT: "thumb"},
		VerifiedAt:   at(9), Source: "jwt+introspection", RawClaims: []byte(`{"r":1}`),
	}, got)
	assert.Equal(t, &l, local, "what others may hold too is not changed")
	assert.Equal(t, &r, remote)
}

func TestBothContradictions(t *testing.T) {
	full := sneck.Token{
		Issuer: "i", Subject: "s", ClientID: "c", ID: "j", Audience: []string{"a"}, Scopes: scopes.Set{"x"},
		Confirmation: &sneck.Confirmation{JKT: "k"},
	}
	for name, change := range map[string]func(*sneck.Token){
		"issuer":       func(t *sneck.Token) { t.Issuer = "other" },
		"subject":      func(t *sneck.Token) { t.Subject = "other" },
		"client":       func(t *sneck.Token) { t.ClientID = "other" },
		"ID":           func(t *sneck.Token) { t.ID = "other" },
		"audience":     func(t *sneck.Token) { t.Audience = []string{"other"} },
		"confirmation": func(t *sneck.Token) { t.Confirmation = &sneck.Confirmation{JKT: "other"} },
		"method":       func(t *sneck.Token) { t.Confirmation = &sneck.Confirmation{JKT: "k", Unknown: true} },
	} {
		other := full
		change(&other)
		_, err := sneck.Both(says(&full, nil), says(&other, nil)).Verify(t.Context(), "t")
		assert.ErrorIs(t, err, sneck.ErrInvalid, name)
		_, err = sneck.Both(says(&other, nil), says(&full, nil)).Verify(t.Context(), "t")
		assert.ErrorIs(t, err, sneck.ErrInvalid, name)
	}
	// What only one of them states is no contradiction.
	for _, pair := range [][2]sneck.Token{{full, {}}, {{}, full}} {
		got, err := sneck.Both(says(&pair[0], nil), says(&pair[1], nil)).Verify(t.Context(), "t")
		require.NoError(t, err)
		assert.Equal(t, full.Issuer+full.Subject+full.ClientID+full.ID, got.Issuer+got.Subject+got.ClientID+got.ID)
		assert.Equal(t, full.Audience, got.Audience)
		assert.Equal(t, full.Confirmation, got.Confirmation, "a bound token stays bound")
		assert.Empty(t, got.Scopes, "a grant needs both")
	}
}
