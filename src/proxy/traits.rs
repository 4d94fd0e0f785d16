use super::ResultProxy;
impl<T: Send + 'static> std::ops::Deref for ResultProxy<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.force()
    }
}
impl<T: Send + 'static> std::fmt::Debug for ResultProxy<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("p")
    }
}
impl<T: Send + 'static + std::fmt::Display> std::fmt::Display for ResultProxy<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.force().fmt(f)
    }
}
