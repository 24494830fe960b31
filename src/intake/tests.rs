//! Folders and lines as they come in.

mod landing;
mod lines;
mod once;
