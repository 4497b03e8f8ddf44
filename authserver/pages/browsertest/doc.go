// Package browsertest looks at the pages of an authorization server with a
// real browser: a headless Chromium that is driven from the tests. It is a
// module of its own, so that nobody else needs what drives it.
//
// The tests need the command chromium, and for axe-core, which judges the
// accessibility, npm, once: it is kept in the user's cache folder. Without
// them the tests are skipped, but with CI=true they fail. With
// SNECK_ARTEFACTS=DIR, screenshots of every page go there, in light and dark.
package browsertest
