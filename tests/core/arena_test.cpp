// The plan of an arena is what it hands out, and a second pass that leaves it is refused with a sentence.
#include "core/arena.h"

#include <cstring>
#include <vector>

#include "tests/support/files.h"

using namespace folio;
using folio::test::expect_fault;

namespace {

class Heap : public Memory {
 public:
  void* acquire(size_t bytes) override {
    ++held;
    return std::memset(std::aligned_alloc(64, bytes), 0, bytes);
  }
  void release(void* p) noexcept override {
    --held;
    std::free(p);
  }
  int held = 0;
};

struct Views {
  Tensor a, b, none, c;
};

Views lay_out(Arena& arena) {
  Views v;
  v.a = arena.take("a", DType::f32, {3, 5});
  v.b = arena.take("b", DType::i64, {7});
  v.none = arena.take("none", DType::f32, {0});
  v.c = arena.take("c", DType::u8, {100});
  return v;
}

}  // namespace

TEST(Arena, TheSecondPassHandsOutThePlan) {
  Heap heap;
  {
    Arena arena("test");
    Views const plan = lay_out(arena);
    EXPECT_EQ(plan.a.data, nullptr);
    EXPECT_EQ(arena.bytes(), 64u + 64 + 0 + 128);
    arena.allocate(heap);
    Views const views = lay_out(arena);
    auto* const base = static_cast<std::byte*>(arena.flat(DType::u8).data);
    ASSERT_EQ(arena.entries().size(), 4u);
    EXPECT_EQ(static_cast<std::byte*>(views.a.data) - base, static_cast<long>(arena.entries()[0].offset));
    EXPECT_EQ(static_cast<std::byte*>(views.b.data) - base, 64);
    EXPECT_EQ(static_cast<std::byte*>(views.c.data) - base, 128);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(views.b.data) % Arena::kAlign, 0u);
    EXPECT_STREQ(views.b.label, "b");
    EXPECT_EQ(arena.flat(DType::f32).size(), 64);
    EXPECT_EQ(heap.held, 1);
  }
  EXPECT_EQ(heap.held, 0);
}

TEST(Arena, ASecondPassThatDiffersIsRefused) {
  Heap heap;
  struct Case {
    char const* name;
    DType dtype;
    Shape shape;
  };
  for (Case const& other :
       {Case{"z", DType::f32, {3, 5}}, Case{"a", DType::f64, {3, 5}}, Case{"a", DType::f32, {5, 3}}}) {
    Arena arena("weights");
    arena.take("a", DType::f32, {3, 5});
    arena.allocate(heap);
    expect_fault(Fault::bug, {"arena weights", "planned a f32 (3, 5)", std::string("asked for ") + other.name},
                 [&] { arena.take(other.name, other.dtype, other.shape); });
  }
  Arena arena("weights");
  arena.take("a", DType::f32, {3, 5});
  arena.allocate(heap);
  arena.take("a", DType::f32, {3, 5});
  expect_fault(Fault::bug, {"b was not planned"}, [&] { arena.take("b", DType::f32, {1}); });
  expect_fault(Fault::bug, {"allocated twice"}, [&] { arena.allocate(heap); });
}

TEST(Tensor, RefusesWhatDoesNotFitWithASentence) {
  float values[6] = {0, 1, 2, 3, 4, 5};
  Tensor const t{DType::f32, {2, 3}, values, "x"};
  EXPECT_EQ(t[1].as<float>()[2], 5);
  EXPECT_EQ(t.slice(1, 2).shape, (Shape{1, 3}));
  EXPECT_EQ(t.reshaped({3, 2}).rows(), 3);
  expect_fault(Fault::bug, {"x: [1, 3) of (2, 3)"}, [&] { t.slice(1, 3); });
  expect_fault(Fault::bug, {"x: (2, 3) does not hold (7)"}, [&] { t.reshaped({7}); });
  expect_fault(Fault::bug, {"x: dtype f32 read as f64"}, [&] { t.as<double>(); });
  expect_fault(Fault::bug, {"at most 6"}, [] { Shape{1, 1, 1, 1, 1, 1, 1}; });
}
