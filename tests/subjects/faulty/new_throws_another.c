// operator new throws an exception that has nothing to do with std::bad_alloc.

#include "../core.h"
#include "../family.h"
extern void _ZSt20__throw_length_errorPKc(const char *); // std::__throw_length_error(const char *)
#define NEW_FAILED (_ZSt20__throw_length_errorPKc("no memory"), NULL)
#include "../operators.h"
#include "../exports.h"
