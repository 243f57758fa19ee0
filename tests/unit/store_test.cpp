// The store: accepted configurations survive, in order, and a newer file is not harmed.
#include "store/store.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace sluice::store {
namespace {

namespace fs = std::filesystem;

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "sluice-store-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    file_ = folder_ / "state" / "sluice.db";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<Store> open() {
    auto store = Store::open(file_);
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(*store) : nullptr;
  }

  fs::path folder_, file_;
};

Generation generation(const std::string& config) {
  return {.number = 0, .time_ms = 1700000000123, .actor = "ada", .reason = "why", .config = config};
}

TEST_F(StoreTest, FreshStoreHasNoConfiguration) {
  auto newest = open()->newest();
  ASSERT_TRUE(newest);
  EXPECT_FALSE(newest->has_value());
}

TEST_F(StoreTest, AcceptedConfigurationSurvivesARestart) {
  EXPECT_EQ(open()->append(generation("{\"a\":1}")), 1u);
  EXPECT_EQ(open()->append(generation("{\"a\":2}")), 2u);
  auto newest = open()->newest();
  ASSERT_TRUE(newest && *newest);
  EXPECT_EQ((*newest)->number, 2u);
  EXPECT_EQ((*newest)->config, "{\"a\":2}");
  EXPECT_EQ((*newest)->time_ms, 1700000000123);
  EXPECT_EQ((*newest)->actor, "ada");
  EXPECT_EQ((*newest)->reason, "why");
}

TEST_F(StoreTest, HistoryIsNewestFirstAndLimited) {
  auto store = open();
  for (int i = 0; i < 5; i++)
    ASSERT_TRUE(store->append(generation("{}")));
  auto history = store->history(3);
  ASSERT_TRUE(history);
  ASSERT_EQ(history->size(), 3u);
  EXPECT_EQ(history->front().number, 5u);
  EXPECT_EQ(history->back().number, 3u);
}

TEST_F(StoreTest, ImportedHashIsRemembered) {
  EXPECT_EQ(open()->imported_hash().value(), std::nullopt);
  ASSERT_TRUE(open()->set_imported_hash("one"));
  ASSERT_TRUE(open()->set_imported_hash("two"));
  EXPECT_EQ(open()->imported_hash().value(), "two");
}

TEST_F(StoreTest, StoreOfANewerVersionIsRefusedUntouched) {
  ASSERT_TRUE(open()->append(generation("{}")));
  SQLite::Database(file_.string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 999");
  auto refused = Store::open(file_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unsupported);
  EXPECT_NE(refused.error().message.find("newer Sluice"), std::string::npos);
  EXPECT_EQ(SQLite::Database(file_.string()).execAndGet("SELECT count(*) FROM generation").getInt(),
            1);
}

TEST_F(StoreTest, FileThatIsNoDatabaseIsRefused) {
  fs::create_directories(file_.parent_path());
  std::ofstream(file_) << std::string(8192, 'x');
  auto refused = Store::open(file_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("cannot be opened"), std::string::npos);
}

}  // namespace
}  // namespace sluice::store
