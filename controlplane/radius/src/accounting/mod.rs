//! Accounting: records that survive restarts until a server has acknowledged them.
