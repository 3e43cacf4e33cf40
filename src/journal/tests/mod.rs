//! The journal of a roster: what it says, for whom there is room, and where it is kept.

mod held;
mod late; // folders that cannot be opened, or only later
mod told; // what it says of itself, and for whom there is room
