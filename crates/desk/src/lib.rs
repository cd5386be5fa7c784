//! The call centre's judgement, pure.
