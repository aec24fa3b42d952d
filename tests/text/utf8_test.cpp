// Characters of any bytes, and a stream that never shows half of one.
#include "text/utf8.h"
#include "core/error.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "text/tokenizer.h"
#include "text/visible.h"

namespace folio::text {
namespace {

bool valid(std::string_view s) {
  auto const c = read_character(s.data(), s.data() + s.size());
  return c.valid && c.length == s.size();
}

std::string const kFamily = "👩🏽‍❤️‍💋‍👨🏻";  // ten code points, one picture
std::string const kHangul = "한국어 각";

TEST(Utf8, EveryCodePointGoesThereAndBack) {
  for (uint32_t code = 0; code < 0x110000; ++code) {
    std::string s;
    append_utf8(s, code);
    auto const c = read_character(s.data(), s.data() + s.size());
    if (code >= 0xd800 && code < 0xe000) {
      ASSERT_FALSE(c.valid) << "a surrogate";
    } else {
      ASSERT_TRUE(c.valid && c.code == code && c.length == s.size()) << std::hex << code;
    }
  }
}

TEST(Utf8, RefusesWhatIsNotWellFormed) {
  for (std::string_view const s :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe2\x82",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff"}) {
    auto const c = read_character(s.data(), s.data() + s.size());
    EXPECT_FALSE(c.valid) << visible(s).bytes;
    EXPECT_EQ(c.length, 1u);
    EXPECT_EQ(c.code, static_cast<unsigned char>(s[0]));
  }
  EXPECT_TRUE(valid("\xf4\x8f\xbf\xbf") && valid("\xed\x9f\xbf") && valid("\xe0\xa0\x80") && valid("\xc2\x80"));
}

TEST(Utf8Stream, ShowsACharacterWithItsLastByteAndNotBefore) {
  for (auto const& text : {kHangul, kFamily, std::string("aé€😀")}) {
    Utf8Stream stream;
    std::string shown;
    for (size_t i = 0; i < text.size(); ++i) {
      auto const now = stream.push(text.substr(i, 1));
      shown += now;
      auto const boundary = i + 1 == text.size() || (text[i + 1] & 0xc0) != 0x80;
      EXPECT_EQ(!now.empty(), boundary) << "byte " << i;
      EXPECT_EQ(shown.size() == i + 1, boundary);
    }
    EXPECT_EQ(shown, text);
    EXPECT_EQ(stream.finish(), "");
  }
}

TEST(Utf8Stream, CutAtEveryPlaceGivesTheTextInWholeCharacters) {
  auto const text = kHangul + kFamily;
  for (size_t a = 0; a <= text.size(); ++a)
    for (size_t b = a; b <= text.size(); ++b) {
      Utf8Stream stream;
      std::string shown;
      for (auto const& part : {text.substr(0, a), text.substr(a, b - a), text.substr(b)}) {
        shown += stream.push(part);
        ASSERT_EQ(incomplete_tail(shown), 0u);
        ASSERT_TRUE(shown.size() == text.size() || (text[shown.size()] & 0xc0) != 0x80) << "half a character is shown";
      }
      ASSERT_EQ(shown, text);
    }
}

TEST(Utf8Stream, DoesNotHoldBackWhatNoByteCanComplete) {
  for (std::string_view const s :
       {"\xff", "\x80\x80", "\xc3(", "\xe0\x80", "\xed\xa0", "\xf0\x8f", "\xf4\x90", "\xf5"}) {
    Utf8Stream stream;
    EXPECT_EQ(stream.push(s), s);
  }
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xe2\x82"), "a");
  EXPECT_EQ(stream.push("b"),
            "\xe2\x82"
            "b");  // it will never be whole
}

TEST(Utf8Stream, GivesTheRestAtTheEndAndIsNewThen) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("x\xf0\x9f\x98"), "x");
  EXPECT_EQ(stream.finish(), "\xf0\x9f\x98");
  EXPECT_EQ(stream.finish(), "");
  EXPECT_EQ(stream.push("\x80"), "\x80");
}

TEST(Utf8Stream, LosesNoByteOfAny) {
  EXPECT_TRUE(rc::check([](std::vector<std::string> const& parts) {
    Utf8Stream stream;
    std::string all, shown;
    for (auto const& part : parts) {
      all += part;
      shown += stream.push(part);
      RC_ASSERT(all.size() - shown.size() <= 3u);
    }
    RC_ASSERT(shown + stream.finish() == all);
  }));
}

TEST(Escape, ShowsEveryByteThatCannotBeSeen) {
  EXPECT_EQ(escape("a\n\t\"\\\x01\x7f\xff é\u0085"), R"("a\n\t\"\\\x01\x7f\xff é\u0085")");
}

}  // namespace
}  // namespace folio::text
