//! A private FreeRADIUS for tests and the demo.
