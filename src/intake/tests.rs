//! Folders and lines as they come in.

mod coming;
mod landing;
mod lines;
mod once;
