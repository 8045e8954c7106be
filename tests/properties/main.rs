//! Properties that hold for any program: the reference breaks no rule, and the shadow says of any allocator what a model
//! that is too simple to be wrong says of it, at the same operation.

mod cases;
mod heap;
mod naive;
mod reference;
mod shadow;
