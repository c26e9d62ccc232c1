// The library's entry: the magic block and what happens once per backend.
#include "compat.hpp"
#include "count/count.hpp"
#include "publish/publish.hpp"
#include "wake/wake.hpp"
#include "read/scratch.hpp"
#include "send/send.hpp"

extern "C" {
PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) {
    muster::publish::init();
    muster::count::init();
    muster::wake::init();
    muster::read::init_scratch();
    muster::send::init();
    muster::compat::reserve_settings("muster");
}
