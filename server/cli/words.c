#include "cli/words.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static bool is_chinese;

const hp_word_t hp_words[] = {
    /* asking */
    {"Number: ", "请输入编号："},
    {"Yes", "是"},
    {"No", "否"},
    {"Back", "返回"},
    {"Exit", "退出"},
    {"Done.", "已完成。"},
    {"There is no %s here. Type a number from 0 to %zu.", "这里没有“%s”。请输入 0 到 %zu 之间的编号。"},
    {"There is no %s here. 0 goes back.", "这里没有“%s”。输入 0 返回。"},
    {"There was something in it that is no text, such as an arrow key. Type it again.",
     "输入中含有不是文字的内容（例如方向键）。请重新输入。"},
    {"That did not work: %s", "操作失败：%s"},
    {"Start hostpair again with: hostpair", "请重新启动 hostpair，命令是：hostpair"},
    {"No hostpair runs here. Start it with: hostpair", "这里没有正在运行的 hostpair。启动命令是：hostpair"},
    {"n: next page   ", "n：下一页   "},
    {"p: page before   ", "p：上一页   "},
    {"0: back", "0：返回"},
    /* the first menu */
    {"Type the number of what you want, and press Enter. Enter alone shows it again.",
     "输入编号后按回车键。只按回车键会刷新画面。"},
    {"hostpair on %s", "hostpair：%s"},
    {"Hosts and their files (online: %lld of %lld)", "主机和它们的文件（在线：%lld / %lld）"},
    {"Downloads (running: %lld)", "下载（进行中：%lld）"},
    {"Messages (unread: %lld)", "消息（未读：%lld）"},
    {"Offers from others (waiting for an answer: %lld)", "别人要发来的文件（等待答复：%lld）"},
    {"Who is connected (%lld)", "谁已连接（%lld）"},
    {"This host: its name and clock", "本机：名称和时钟"},
    /* news */
    {"%s is back.", "%s 又上线了。"},
    {"%s has gone away. Its files can be ordered all the same: they come when it is back.",
     "%s 已离线。仍然可以下载它的文件：等它上线后就会传来。"},
    {"A new message is there. Unread: %lld.", "有新消息。未读：%lld。"},
    {"%s wants to send something: look at the offers.", "%s 想发送文件：请查看“别人要发来的文件”。"},
    /* hosts */
    {"Hosts", "主机"},
    {"NAME", "名称"},
    {"STATE", "状态"},
    {"FILES", "文件数"},
    {"SIZE", "大小"},
    {"online", "在线"},
    {"offline", "离线"},
    {"blocked", "已屏蔽"},
    {"No host is known yet. They are found by themselves, or by their address.",
     "还没有发现主机。它们会被自动发现，也可以按地址添加。"},
    {"s: search the network   a: add one by its address", "s：搜索网络   a：按地址添加"},
    {"The network is being searched. Press Enter in a few seconds to see who is there.",
     "正在搜索网络。几秒钟后按回车键查看结果。"},
    {"Its name or address (empty: none): ", "它的名称或地址（留空则取消）："},
    {"Address: %s", "地址：%s"},
    {"Offers: %lld files, %s", "共享：%lld 个文件，%s"},
    {"It is paired.", "已配对。"},
    {"It has LocalSend: it can be sent files, shows none and takes no messages.",
     "这是一台 LocalSend 设备：可以向它发送文件，但它没有可浏览的文件，也不接收消息。"},
    {"To send it something, leave the menu and type:", "要向它发送文件，请退出菜单并输入："},
    {"Files", "文件"},
    {"Search its files", "搜索它的文件"},
    {"Read messages", "查看消息"},
    {"Write a message", "写消息"},
    {"To whom?", "发给谁？"},
    {"e: to everyone", "e：发给所有主机"},
    /* files */
    {"CHANGED", "修改时间"},
    {"HERE", "本地"},
    {"downloading", "下载中"},
    {"%lld file", "%lld 个文件"},
    {"%lld files", "%lld 个文件"},
    {" (offline)", "（离线）"},
    {"Found for \"%s\": %lld", "“%s”的搜索结果：%lld"},
    {"There is nothing in it.", "里面没有文件。"},
    {"Folders: %lld, files: %lld", "文件夹：%lld，文件：%lld"},
    {"This file is here already.", "这个文件已经在本机。"},
    {"Download %s (%s)?", "下载 %s（%s）吗？"},
    {"Download the whole folder %s?", "下载整个文件夹 %s 吗？"},
    {"s: search   d: download this folder", "s：搜索   d：下载这个文件夹"},
    {"s: search", "s：搜索"},
    {"Part of the name (empty: none): ", "名称的一部分（留空则取消）："},
    /* downloads */
    {"Downloads", "下载"},
    {"DONE", "进度"},
    {"SPEED", "速度"},
    {"LEFT", "剩余"},
    {"queued", "排队中"},
    {"running", "进行中"},
    {"paused", "已暂停"},
    {"verifying", "校验中"},
    {"done", "已完成"},
    {"failed", "失败"},
    {"cancelled", "已取消"},
    {"being checked", "正在校验"},
    {"There are no downloads.", "没有下载。"},
    {"Enter: back to the menu. The download goes on.", "按回车键返回菜单，下载会继续。"},
    {"%s is here:", "%s 已下载到："},
    {"%s is paused.", "%s 已暂停。"},
    {"%s was cancelled.", "%s 已取消。"},
    {"%s failed: %s", "%s 失败：%s"},
    {"Watch it", "查看进度"},
    {"Pause", "暂停"},
    {"Go on", "继续"},
    {"Try again", "重试"},
    {"Cancel, and remove what has come", "取消，并删除已收到的部分"},
    {"Cancel, and keep what has come for another time", "取消，但保留已收到的部分"},
    {"Take it off the list (a finished file stays)", "从列表中移除（已完成的文件会保留）"},
    {"What has come of it is lost. Cancel?", "已收到的部分将会丢失。要取消吗？"},
    {"State: %s", "状态：%s"},
    {"Here: %s of %s", "已收到：%s / %s"},
    {"Place: %s/%s", "位置：%s/%s"},
    {"Reason: %s", "原因：%s"},
    {"a: pause all   g: let all go on   c: clear the finished ones",
     "a：全部暂停   g：全部继续   c：清除已完成的"},
    {"%d source", "%d 个来源"},
    {"%d sources", "%d 个来源"},
    {"%.40s left", "剩余 %.40s"},
    /* messages */
    {"Messages", "消息"},
    {"Messages with %s", "与 %s 的消息"},
    {"There are no messages.", "没有消息。"},
    {"everyone", "所有主机"},
    {"to %s (%s)", "发给 %s（%s）"},
    {"delivered", "已送达"},
    {"Download %s (%s)", "下载 %s（%s）"},
    {"offers %s (%s)", "提供 %s（%s）"},
    {"Unread ones on other pages: %lld", "其他页上的未读消息：%lld"},
    {"w: write", "w：写消息"},
    {"Message (empty: none): ", "消息（留空则取消）："},
    {"%s: delivered", "%s：已送达"},
    {"hostpair: %s: not delivered%s%s", "hostpair：%s：未送达%s%s"},
    {"%s: queued%s%s; it is delivered when the host is there", "%s：等待发送%s%s；主机上线后就会送达"},
    /* offers */
    {"Offers: files that others want to give you", "别人要发来的文件"},
    {"Nobody has sent anything.", "还没有人发来文件。"},
    {"FROM", "来自"},
    {"WHEN", "时间"},
    {"asking", "等待答复"},
    {"receiving", "接收中"},
    {"declined", "已拒绝"},
    {"From %s (%s)", "来自 %s（%s）"},
    {"and %lld more", "另外还有 %lld 个"},
    {"Accept", "接受"},
    {"Decline", "拒绝"},
    {"Cancel: what is not complete is removed", "取消：未完成的文件会被删除"},
    {"Accepted. The files are coming; Enter shows how far they are.",
     "已接受。正在接收文件；按回车键查看进度。"},
    {"Cancelled.", "已取消。"},
    {"Declined.", "已拒绝。"},
    /* who is connected */
    {"Who is connected to this host", "谁已连接到本机"},
    {"Nobody, at this moment.", "目前没有人连接。"},
    {"WHO", "谁"},
    {"SENT", "已发送"},
    {"SINCE", "连接时间"},
    {"FILE", "文件"},
    {"Connected since: %s", "连接时间：%s"},
    {"File: %s", "文件：%s"},
    {"Program: %s", "程序：%s"},
    {"Encrypted: yes", "加密：是"},
    {"Encrypted: no", "加密：否"},
    {"Enter: look again", "回车：刷新"},
    /* this host */
    {"This host: %s", "本机：%s"},
    {"Running for: %s", "已运行：%s"},
    {"Shares: %s", "共享文件夹：%s"},
    {"Downloads land in: %s", "下载保存到：%s"},
    {"Free on the disk: %s", "磁盘剩余空间：%s"},
    {"Its clock: %s", "本机时钟：%s"},
    {"The clock of %s is ahead by %s.", "%s 的时钟快了 %s。"},
    {"The clock of %s is behind by %s.", "%s 的时钟慢了 %s。"},
    {"No other host has a clock that differs much.", "其他主机的时钟相差不大。"},
    {"Change the name", "修改名称"},
    {"New name (empty: it stays): ", "新名称（留空则不变）："},
    /* times */
    {"now", "刚刚"},
    {"%lld min ago", "%lld 分钟前"},
    {"%lld h ago", "%lld 小时前"},
    {"1 day ago", "1 天前"},
    {"%lld days ago", "%lld 天前"},
    {"%lld s", "%lld 秒"},
    {"%lld min %lld s", "%lld 分 %lld 秒"},
    {"%lld min", "%lld 分钟"},
    {"%lld h %lld min", "%lld 小时 %lld 分"},
    {"%lld days", "%lld 天"},
};
const size_t hp_words_count = HP_COUNT(hp_words);

void hp_words_init(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    const char *locale = NULL, *type = getenv("TERM");
    for (size_t i = 0; i < HP_COUNT(names) && (locale == NULL || locale[0] == '\0'); i++)
        locale = getenv(names[i]);
    is_chinese =
        locale != NULL && strncmp(locale, "zh", 2) == 0 && (type == NULL || strcmp(type, "linux") != 0);
    const char *encoding = is_chinese ? strchr(locale, '.') : NULL;
    if (encoding != NULL && strncasecmp(encoding, ".utf-8", 6) != 0 && strncasecmp(encoding, ".utf8", 5) != 0)
        is_chinese = false;
}

const char *hp_word(const char *english)
{
    for (size_t i = 0; is_chinese && i < HP_COUNT(hp_words); i++)
        if (strcmp(hp_words[i].english, english) == 0)
            return hp_words[i].chinese;
    return english;
}
