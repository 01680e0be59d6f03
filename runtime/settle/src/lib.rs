//! Integer settlement of an epoch.
