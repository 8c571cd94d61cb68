/* tests/cppcheck.h -- macros of other libraries that cppcheck must know to read our files */
#define json_array_foreach(array, index, value)                                                                        \
	for (index = 0; index < json_array_size(array) && (value = json_array_get(array, index)); index++)

/* The one of fabricd/lib/base.h without a statement expression, which cppcheck takes for a fault. */
#define PICK_OF_(a, b, op, id) ((a)op(b) ? (a) : (b))
