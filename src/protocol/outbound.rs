//! scaffold
use super::ChannelName;
use bytes::Bytes;
/// e
pub fn event(_name: &str, _channel: &ChannelName, _data: &str, _user_id: Option<&str>) -> Bytes {
    todo!()
}
