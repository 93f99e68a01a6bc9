//! Four-letter words.
