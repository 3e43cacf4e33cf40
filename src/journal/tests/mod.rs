//! The journal of a roster: what it says, for whom there is room, and where it is kept.

mod damaged; // where the store was
mod down; // what was when the process before ended
mod held;
mod late; // folders that cannot be opened, or only later
mod told; // what it says of itself, and for whom there is room
